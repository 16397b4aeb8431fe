"""What stands on a board: parametric packages, solder joints, models that the user has."""
