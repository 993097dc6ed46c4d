#include "shot_grid.h"

#include <cmath>

namespace faceaffect {

void shot_grid(const FrameView& frame, const GridSteps& steps, float* grid) {
  const PlaneView& plane = frame.plane;
  const bool color =
      frame.pixel_format == PixelFormat::BGR || frame.pixel_format == PixelFormat::RGB;
  for (int y = steps.row_step / 2; y < plane.height_px; y += steps.row_step) {
    const uint8_t* row = plane.data + y * plane.row_stride + (color ? 1 : 0);
    for (int x = steps.column_step / 2; x < plane.width_px; x += steps.column_step)
      *grid++ = static_cast<float>(row[static_cast<int64_t>(x) * plane.channels]);
  }
}

double grid_change(const float* grid, const float* last, int64_t size) {
  float sum = 0;  // whole numbers below 2^24: exact
  for (int64_t i = 0; i < size; ++i) sum += std::fabs(grid[i] - last[i]);
  return static_cast<double>(sum) / static_cast<double>(size);
}

}  // namespace faceaffect
