"""Reports that the core and plugins declare: on screen, as workbook, as PDF, by e-mail."""
