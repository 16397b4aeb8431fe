"""Does it help? The same small segmenter trained with and without generated pictures, tested on parts kept apart."""
