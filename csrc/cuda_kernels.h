// Binds what is there only where CUDA was built.
#pragma once

#include "arguments.h"

namespace faceaffect {

void bind_cuda_kernels(py::module_& m);
void bind_cuda_resources(py::module_& m);

}  // namespace faceaffect
