"""What moves the ion: one engine a method, behind one contract, and the kernels that each needs."""
