// FrameView: non-owning view of a frame in the pixel format of its source.
#pragma once

#include <cstdint>

namespace faceaffect {

enum class PixelFormat : int { BGR, RGB, GRAY, NV12 };

struct PlaneView {
  const uint8_t* data;  // [height_px, width_px, channels]; a pixel's channels and the pixels of a
                        // row are adjacent
  int64_t row_stride;   // bytes from one row to the next, may be negative
  int width_px;
  int height_px;
  int channels;
};

struct FrameView {
  PlaneView plane;   // color or gray; the luma of NV12
  PlaneView chroma;  // NV12 only: (U, V) pairs, half as wide and half as high
  PixelFormat pixel_format;
};

}  // namespace faceaffect
