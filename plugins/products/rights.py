"""The permissions of the product file."""

VIEW, EDIT, IMPORT = "products.view", "products.edit", "products.import"
# Stopping, sealing and releasing batches, and inspections.
QUALITY = "products.quality"
