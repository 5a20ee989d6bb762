"""Client of the Countersign identity gateway."""
