"""The kernel: knows no after-sales word (design.md section 3)."""
