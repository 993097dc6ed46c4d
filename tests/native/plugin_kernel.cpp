// The kernel for the host, away from the headers of CUDA whose names run_on_host.h takes.
#include "../../csrc/au_gcn_cuda.cu"
