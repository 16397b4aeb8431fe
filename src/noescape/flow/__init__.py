"""Workflows in the OSMO format: checked offline, run as local processes or submitted to a cluster.

Knows nothing about images: what a flow says about itself is data in its card (`assets/configs/<flow>.card.yaml`),
and its tasks are commands.
"""
