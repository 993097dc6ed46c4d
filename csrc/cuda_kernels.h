// Binds the CUDA twins where they were built, and says what was built.
#pragma once

#include "arguments.h"

namespace faceaffect {

void bind_cuda_kernels(py::module_& m);

}  // namespace faceaffect
