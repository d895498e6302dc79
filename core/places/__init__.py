"""Places: buildings, floors, rooms, halls, shelves of a unit, as a tree with labels to scan."""
