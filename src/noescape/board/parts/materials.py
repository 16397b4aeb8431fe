"""Surfaces of parts and boards, as seen under an AOI's lights. Colours are linear RGB."""

from __future__ import annotations

from noescape.board.model import Material

SOLDER = Material(name="Solder", base_color=(0.83, 0.84, 0.86), metallic=1.0, roughness=0.2)
TIN = Material(name="Tin", base_color=(0.72, 0.71, 0.68), metallic=1.0, roughness=0.35)
GOLD = Material(name="Gold", base_color=(0.9, 0.62, 0.25), metallic=1.0, roughness=0.3)
STEEL = Material(name="Steel", base_color=(0.62, 0.62, 0.63), metallic=1.0, roughness=0.3)
ALUMINIUM = Material(name="Aluminium", base_color=(0.86, 0.87, 0.88), metallic=1.0, roughness=0.28)
COPPER_WIRE = Material(name="CopperWire", base_color=(0.72, 0.3, 0.14), metallic=1.0, roughness=0.35)
CERAMIC_TAN = Material(name="CeramicTan", base_color=(0.42, 0.265, 0.14), roughness=0.5)
CERAMIC_GREY = Material(name="CeramicGrey", base_color=(0.17, 0.17, 0.18), roughness=0.5)
ALUMINA = Material(name="Alumina", base_color=(0.78, 0.77, 0.74), roughness=0.55)
FERRITE = Material(name="Ferrite", base_color=(0.045, 0.043, 0.045), roughness=0.6)
RESISTOR_GLAZE = Material(name="ResistorGlaze", base_color=(0.012, 0.012, 0.014), roughness=0.3)
MOLD = Material(name="Mold", base_color=(0.022, 0.022, 0.024), roughness=0.55)
LAMINATE = Material(name="Laminate", base_color=(0.03, 0.075, 0.03), roughness=0.45)
PLASTIC_BLACK = Material(name="PlasticBlack", base_color=(0.02, 0.02, 0.02), roughness=0.4)
PLASTIC_WHITE = Material(name="PlasticWhite", base_color=(0.8, 0.79, 0.75), roughness=0.45)
TANTALUM = Material(name="TantalumYellow", base_color=(0.72, 0.38, 0.045), roughness=0.45)
BROWN_BAR = Material(name="BrownBar", base_color=(0.14, 0.045, 0.018), roughness=0.5)
MARK_WHITE = Material(name="MarkWhite", base_color=(0.75, 0.75, 0.72), roughness=0.6)
MARK_GREY = Material(name="MarkGrey", base_color=(0.28, 0.28, 0.27), roughness=0.7)
MARK_GREEN = Material(name="MarkGreen", base_color=(0.03, 0.3, 0.09), roughness=0.5)
MARK_BLACK = Material(name="MarkBlack", base_color=(0.01, 0.01, 0.012), roughness=0.5)
DIMPLE = Material(name="Dimple", base_color=(0.11, 0.11, 0.115), roughness=0.25)
LENS = Material(name="Lens", base_color=(0.82, 0.74, 0.42), roughness=0.12)
LENS_RED = Material(name="LensRed", base_color=(0.6, 0.03, 0.025), roughness=0.12)
GLASS = Material(name="GlassOrange", base_color=(0.55, 0.16, 0.04), roughness=0.1)
EPOXY_BLUE = Material(name="EpoxyBlue", base_color=(0.02, 0.09, 0.33), roughness=0.25)
EPOXY_ORANGE = Material(name="EpoxyOrange", base_color=(0.6, 0.2, 0.03), roughness=0.4)
RESISTOR_BEIGE = Material(name="ResistorBeige", base_color=(0.62, 0.45, 0.26), roughness=0.5)
