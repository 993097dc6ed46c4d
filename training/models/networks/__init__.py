"""The networks of the eight methods M1 to M8, from the ABAW2 challenge (2021)."""
