// check_cuda(status, what): throws a CudaError that names the failed call, its cause and the
// remedy.
#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

namespace faceaffect {

struct CudaError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] void throw_cuda_error(cudaError_t status, const char* what);

inline void check_cuda(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw_cuda_error(status, what);
}

// Throws a CudaError if no GPU can be used.
void require_device();

}  // namespace faceaffect
