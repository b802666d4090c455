"""`python -m keras_bnn …` is `keras-bnn …`."""

from keras_bnn.cli import main

main()
