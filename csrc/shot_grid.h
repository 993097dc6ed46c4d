// Coarse grid of a frame's pixels for shot-change detection. NumPy definition:
// sdk/faceaffect/kernels.
#pragma once

#include <cstdint>

#include "frame_view.h"

namespace faceaffect {

struct GridSteps {
  int row_step,
      column_step;  // pixels from one sample to the next; the first lies half a step from the edge
  int64_t rows(const FrameView& frame) const {
    return (frame.plane.height_px - row_step / 2 + row_step - 1) / row_step;
  }
  int64_t columns(const FrameView& frame) const {
    return (frame.plane.width_px - column_step / 2 + column_step - 1) / column_step;
  }
};

// Samples [rows, columns] of green or gray, as floats.
void shot_grid(const FrameView& frame, const GridSteps& steps, float* grid);

// Mean absolute difference of two grids of `size` samples.
double grid_change(const float* grid, const float* last, int64_t size);

}  // namespace faceaffect
