"""What the board flows start from: scenes of boards, and rendered examples of their defects to learn from."""
