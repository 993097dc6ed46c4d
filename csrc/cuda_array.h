// Views arrays of torch, CuPy, PyCUDA, Numba and this package for the kernels, without a copy.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "half.h"

namespace faceaffect {

namespace py = pybind11;

struct CudaArray {
  uintptr_t address;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // bytes
  char kind;                     // 'f', 'u', 'i' ... as NumPy has it
  int item_bytes;
  bool is_read_only;
  py::object owner;  // keeps the memory while the call lasts

  bool is(char wanted_kind, int wanted_bytes) const {
    return kind == wanted_kind && item_bytes == wanted_bytes;
  }
  bool is_contiguous() const;
  std::string described() const;  // "float32 (1, 3, 112, 112)"
};

// Reads `__cuda_array_interface__`, else DLPack; accepts NumPy arrays in pinned memory. `stream`
// waits for the work queued by the producer of the array. Throws ValueError with `name`, what was
// expected and what came.
CudaArray cuda_array(py::handle value, const char* name, uintptr_t stream);

// Returns a writable contiguous float32 or float16 array of this shape.
CudaArray cuda_output(py::handle value, const char* name, const std::vector<int64_t>& shape,
                      uintptr_t stream);

Element element_of(const CudaArray& array, const char* name);

// Accepts None (the default stream), an integer handle, or a stream of torch, CuPy, PyCUDA, Numba,
// cuda-python or this package.
uintptr_t stream_handle(py::handle stream);

std::string shape_text(const std::vector<int64_t>& shape);

}  // namespace faceaffect
