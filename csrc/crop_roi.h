// Region of a plane that one crop reads: all bilinear taps of all its points at its pyramid level.
// Exact, so that nothing else is copied.
#pragma once

#include "crop_face.h"
#include "row_span.h"

namespace faceaffect {
namespace {

// Pixels [x0, x1) x [y0, y1) of a plane.
struct PlaneRoi {
  int x0, y0, x1, y1;
};

inline int first_tap(float position, int size) {
  return static_cast<int>(clamp_to(position, 0.0f, static_cast<float>(size - 1)));
}

inline PlaneRoi plane_roi(const PlaneView& plane, int level, const float* low_xy,
                          const float* high_xy) {
  const int width = level_size(plane.width_px, level), height = level_size(plane.height_px, level);
  const int x_end = (first_tap(high_xy[0], width) + 2) << level,
            y_end = (first_tap(high_xy[1], height) + 2) << level;
  // A block that extends past the edge repeats the last pixel, so that pixel must be included.
  return {first_tap(low_xy[0], width) << level, first_tap(low_xy[1], height) << level,
          x_end < plane.width_px ? x_end : plane.width_px,
          y_end < plane.height_px ? y_end : plane.height_px};
}

// [0] of frame.plane, [1] of frame.chroma and frame.chroma_v.
inline void crop_rois(const FrameView& frame, const LevelTransform& transform, int size_px,
                      PlaneRoi* found) {
  float low_xy[2], high_xy[2];
  position_bounds(transform, size_px, low_xy, high_xy);
  found[0] = plane_roi(frame.plane, transform.level, low_xy, high_xy);
  if (!frame.has_chroma()) return;
  const float chroma_low[2] = {chroma_position(low_xy[0]), chroma_position(low_xy[1])};
  const float chroma_high[2] = {chroma_position(high_xy[0]), chroma_position(high_xy[1])};
  found[1] = plane_roi(frame.chroma, transform.level, chroma_low, chroma_high);
}

}  // namespace
}  // namespace faceaffect
