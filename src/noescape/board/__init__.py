"""From CAD to labelled images of a board: import, scene, render, crop, align. Lengths in mm, angles in degrees."""
