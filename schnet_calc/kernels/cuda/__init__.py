"""SchNet's arithmetic in kernels of Triton, one for each block and direction; interpreted where there is no GPU."""
