"""What flows say about themselves, and what a user wishes: catalogue, plan, intents, preferences."""
