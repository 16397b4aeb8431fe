"""The diffusion generator: an inpainting model, one low-rank adapter and a few learnt tokens per type of defect."""
