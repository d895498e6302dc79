"""What screens of inspections are made of: words, panels, the form of an inspection, the editor of a checklist."""
