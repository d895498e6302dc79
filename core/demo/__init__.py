"""The demonstration: one deployment with units, people, customers and cases as an office has them."""
