"""The siamese network: a shared backbone, differences at several levels, a head; trained end to end."""
