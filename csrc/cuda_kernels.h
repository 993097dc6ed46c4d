// Python bindings that exist only in builds with CUDA.
#pragma once

#include "arguments.h"

namespace faceaffect {

void bind_cuda_kernels(py::module_& m);
void bind_cuda_resources(py::module_& m);

}  // namespace faceaffect
