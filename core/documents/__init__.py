"""Documents: printed forms, labels, the register of seals."""
