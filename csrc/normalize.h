// out[n, c, y, x] = (pixels[n, y, x, c] / 255 - mean[c]) / std[c]
//   pixels uint8 [N, H, W, 3] RGB;  mean, std float32 [3];  out float32 [N, 3, H, W]
#pragma once

#include <cstdint>

#include "host_device.h"

namespace faceaffect {

struct NormalizeParams {
  float mean[3];
  float std[3];
};

HOST_DEVICE float normalize_value(float pixel, const NormalizeParams& params, int c) {
  return (pixel / 255.0f - params.mean[c]) / params.std[c];
}

}  // namespace faceaffect
