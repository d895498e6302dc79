"""Product file: models with key parts, serial-numbered items, batches."""
