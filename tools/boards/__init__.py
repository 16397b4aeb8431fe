"""How the demo boards are drawn: placing, wiring, and writing a KiCad file."""
