"""Files that are valid at every moment: H5MD runs, checkpoints, outputs. The only users of h5py."""
