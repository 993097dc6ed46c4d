// FrameView: non-owning view of a frame in the pixel format of its source.
#pragma once

#include <cstdint>

#include "yuv.h"

namespace faceaffect {

enum class PixelFormat : int { BGR, RGB, GRAY, NV12, I420 };

struct PlaneView {
  const uint8_t* data;  // [height_px, width_px, channels]; a pixel's channels and the pixels of a
                        // row are adjacent
  int64_t row_stride;   // bytes from one row to the next, may be negative
  int width_px;
  int height_px;
  int channels;
};

struct FrameView {
  PlaneView plane;   // color or gray; the luma of NV12 and I420
  PlaneView chroma;  // NV12: (U, V) pairs, I420: U; half as wide and half as high, rounded up
  PixelFormat pixel_format;
  PlaneView chroma_v;   // I420 only: V, with size and stride of `chroma`
  YuvCoefficients yuv;  // NV12 and I420 only

  bool has_chroma() const { return chroma.channels != 0; }
};

}  // namespace faceaffect
