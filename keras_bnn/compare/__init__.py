"""Can a binary network replace the full-precision one? Trains, measures and answers.

training ──► exports ──► measurements ──► answer ──► report.json, report.html
"""

from keras_bnn.compare.answer import Answer, answer
from keras_bnn.compare.compare import compare
from keras_bnn.compare.comparison import Comparison
from keras_bnn.compare.network import Latency, Network, Run, TestedFile
from keras_bnn.compare.pareto import pareto_front

__all__ = [
    "Answer",
    "Comparison",
    "Latency",
    "Network",
    "Run",
    "TestedFile",
    "answer",
    "compare",
    "pareto_front",
]
