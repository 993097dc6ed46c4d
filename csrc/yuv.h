// Coefficients of the conversion from YUV (BT.601, video range) to RGB.
#pragma once

namespace faceaffect {

constexpr float kLumaOffset = 16.0f;
constexpr float kChromaOffset = 128.0f;
constexpr float kLumaScale = 1.1643836f;
constexpr float kVToRed = 1.5960268f;
constexpr float kUToGreen = -0.3917623f;
constexpr float kVToGreen = -0.8129676f;
constexpr float kUToBlue = 2.0172321f;

}  // namespace faceaffect
