// Conversion from YUV to RGB; the coefficients of a frame come from sdk/faceaffect/types.py.
#pragma once

namespace faceaffect {

constexpr float kChromaOffset = 128.0f;

// For pixels of 0 to 255.
struct YuvCoefficients {
  float luma_offset, luma_scale, v_to_red, u_to_green, v_to_green, u_to_blue;
};

}  // namespace faceaffect
