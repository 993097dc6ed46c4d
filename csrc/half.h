// Half: 16-bit float of the GPU. Kernels compute in float32 and only load or store it.
// FACEAFFECT_ON_HOST defines it for tests that run kernel code on the host.
#pragma once

#include "host_device.h"

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#endif

namespace faceaffect {

#if defined(__CUDACC__)
struct Half {
  __half bits;
};
HOST_DEVICE float as_float(Half value) { return __half2float(value.bits); }
HOST_DEVICE void store_value(Half* to, float value) { to->bits = __float2half_rn(value); }
#elif defined(FACEAFFECT_ON_HOST)
struct Half {
  _Float16 bits;
};
HOST_DEVICE float as_float(Half value) { return static_cast<float>(value.bits); }
HOST_DEVICE void store_value(Half* to, float value) { to->bits = static_cast<_Float16>(value); }
#endif

HOST_DEVICE void store_value(float* to, float value) { *to = value; }

// Element type of an array, chosen at run time.
enum class Element : int { Float32, Float16 };

}  // namespace faceaffect
