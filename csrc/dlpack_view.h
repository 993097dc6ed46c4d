// Fields of a DLPack capsule, version 0 ("dltensor"), in the pixel_format of its specification.
#pragma once

#include <cstdint>

namespace faceaffect {

enum DlDeviceKind : int32_t { kDlCuda = 2, kDlCudaHost = 3, kDlCudaManaged = 13 };

struct DlTensor {
  void* data;
  int32_t device_kind;
  int32_t device_index;
  int32_t ndim;
  uint8_t type_code;  // 0 int, 1 uint, 2 float
  uint8_t type_bits;
  uint16_t type_lanes;
  int64_t* shape;
  int64_t* strides;  // elements; null when contiguous
  uint64_t byte_offset;
};

}  // namespace faceaffect
