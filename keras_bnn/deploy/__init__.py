"""Set up boards and measure on them, over ssh and adb. Nothing here needs TensorFlow."""
