"""Store (门店): suppliers, receiving, batches with shelf life, prices, displays, counts."""
