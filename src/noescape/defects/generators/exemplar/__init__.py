"""The generator for a CPU: real example defects, moved, varied and drawn into good images."""
