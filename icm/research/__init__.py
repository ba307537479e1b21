"""Research: training data, training, evaluation, metrics and timing; no matting needs it."""
