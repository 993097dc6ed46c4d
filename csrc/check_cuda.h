// check_cuda(status, what): a CUDA call that failed becomes an exception that names it.
#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

namespace faceaffect {

inline void check_cuda(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

}  // namespace faceaffect
