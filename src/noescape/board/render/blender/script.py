"""Runs inside of Blender's Python, with nothing but numpy and bpy: FOLDER/{arrays.npz,scene.json} to FOLDER/color.npy.

Lengths: 1 Blender unit = 1 mm.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

bpy: Any = importlib.import_module("bpy")  # there in Blender alone


def main(folder: Path) -> None:
    """Build, render, write."""
    said = json.loads((folder / "scene.json").read_text(encoding="utf-8"))
    arrays = np.load(folder / "arrays.npz", allow_pickle=False)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    materials = {name: surface(name, look) for name, look in said["materials"].items()}
    for body in said["bodies"]:
        at = body["at"]
        add(scene, body["name"], arrays, f"p{at}", f"f{at}", f"n{at}", f"u{at}", materials[body["material"]])
    for at, radiance in enumerate(said["rings"]):
        ring = add(scene, f"ring{at}", arrays, f"rp{at}", f"rf{at}", "", "", glow(f"ring{at}", radiance))
        ring.visible_camera = False
    world = bpy.data.worlds.new("dome")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (*said["dome"], 1.0)
    scene.world = world
    scene.camera = camera(scene, said["camera"])
    settings(scene, said)
    picture = folder / "color.exr"
    scene.render.filepath = str(picture)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(picture))
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    pixels = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    np.save(folder / "color.npy", pixels.reshape(height, width, image.channels)[::-1, :, :3])


def settings(scene: Any, said: dict[str, Any]) -> None:
    """The same number of samples and bounces, a box of one pixel as filter, no view transform."""
    scene.render.engine = "CYCLES"
    cycles = scene.cycles
    cycles.device = "CPU"
    cycles.samples, cycles.seed = said["spp"], said["seed"]
    cycles.use_adaptive_sampling = False
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.max_bounces = said["bounces"]
    cycles.diffuse_bounces = cycles.glossy_bounces = said["bounces"]
    cycles.pixel_filter_type = "BOX"
    cycles.filter_width = 1.0
    scene.render.resolution_x, scene.render.resolution_y = said["camera"]["resolution"]
    scene.render.resolution_percentage = 100
    scene.render.film_transparent = True
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.image_settings.color_depth = "32"
    scene.view_settings.view_transform = "Raw"


def camera(scene: Any, said: dict[str, Any]) -> Any:
    """Straight down; its near end just above the parts, so that no ring is in the way."""
    data = bpy.data.cameras.new("camera")
    item = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(item)
    up = said["up"]
    item.rotation_euler = (0.0, 0.0, math.atan2(-up[0], up[1]))
    data.sensor_fit = "HORIZONTAL"
    if said["projection"] == "orthographic":
        data.type, data.ortho_scale = "ORTHO", max(said["field"])
        data.sensor_fit = "AUTO"
        item.location = (said["x"], said["y"], said["top"] + 1.0)
        data.clip_start, data.clip_end = 0.5, 1e4
    else:
        reach = said["z"] - said["focus_z"]
        data.type, data.angle = "PERSP", 2 * math.atan(said["field"][0] / 2 / reach)
        item.location = (said["x"], said["y"], said["z"])
        data.clip_start, data.clip_end = max((said["z"] - said["top"]) * 0.99, 1e-3), 1e4
    return item


def add(scene: Any, name: str, arrays: Any, points: str, faces: str, normals: str, uvs: str, material: Any) -> Any:
    """One mesh as an object."""
    data = bpy.data.meshes.new(name)
    corners = arrays[faces]
    data.from_pydata(arrays[points].tolist(), [], corners.tolist())
    data.materials.append(material)
    if uvs in arrays:
        layer = data.uv_layers.new(name="st")
        layer.data.foreach_set("uv", np.ascontiguousarray(arrays[uvs][corners.ravel()], np.float32).ravel())
    if normals in arrays:
        data.polygons.foreach_set("use_smooth", np.ones(len(corners), bool))
        data.normals_split_custom_set_from_vertices(arrays[normals].tolist())
    item = bpy.data.objects.new(name, data)
    scene.collection.objects.link(item)
    return item


def surface(name: str, look: dict[str, Any]) -> Any:
    """A Principled surface with the pictures that stand for its values."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*look["base_color"], 1.0)
    shader.inputs["Metallic"].default_value = look["metallic"]
    shader.inputs["Roughness"].default_value = max(look["roughness"], 0.05)
    for key, place in (("base_color", "Base Color"), ("metallic", "Metallic"), ("roughness", "Roughness")):
        path = look[f"{key}_file"]
        if path:
            node = nodes.new("ShaderNodeTexImage")
            node.image = bpy.data.images.load(path, check_existing=True)
            node.image.colorspace_settings.name = "sRGB" if key == "base_color" else "Non-Color"
            links.new(node.outputs["Color"], shader.inputs[place])
    return material


def glow(name: str, radiance: list[float]) -> Any:
    """Light from the front only."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    output, light = nodes.new("ShaderNodeOutputMaterial"), nodes.new("ShaderNodeEmission")
    black, side, mix = (
        nodes.new("ShaderNodeBsdfDiffuse"),
        nodes.new("ShaderNodeNewGeometry"),
        nodes.new("ShaderNodeMixShader"),
    )
    light.inputs["Color"].default_value = (*radiance, 1.0)
    black.inputs["Color"].default_value = (0.0, 0.0, 0.0, 1.0)
    links.new(side.outputs["Backfacing"], mix.inputs["Fac"])
    links.new(light.outputs["Emission"], mix.inputs[1])
    links.new(black.outputs["BSDF"], mix.inputs[2])
    links.new(mix.outputs["Shader"], output.inputs["Surface"])
    return material


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
