#include "instruction_sets.h"
#include "simd.h"

#if FACEAFFECT_SIMD
#include "crop_simd.h"
#include "downsample_roi.h"
#include "row_span.h"
#endif

namespace faceaffect {
namespace FACEAFFECT_ISA {

namespace {

void crop_by_definition(const FrameView& frame, const LevelTransform& transform,
                        const CropParams& params, int y, int begin, int end, float* out) {
  const int64_t size = params.size_px;
  for (int x = begin; x < end; ++x) {
    float value[3];
    crop_face_pixel(frame, transform, params, y, x, value);
    for (int c = 0; c < 3; ++c) out[(c * size + y) * size + x] = value[c];
  }
}

#if FACEAFFECT_SIMD

// Offsets into a frame are 32 bits wide. No real frame reaches that, but a view of a huge array
// may.
bool fits_offsets(const PlaneView& plane) {
  const int64_t stride = plane.row_stride < 0 ? -plane.row_stride : plane.row_stride;
  return stride * plane.height_px < (int64_t{1} << 30);
}

PlaneAtLevel plane_at_level(const PlaneView& plane, int level, const DownsampleRoi& roi, int slot,
                            Workspace& workspace) {
  if (level == 0) return {plane.data, static_cast<int>(plane.row_stride), 0};
  const int stride = (roi.x1 - roi.x0 + 1) * plane.channels;
  return {downsample_roi(plane, level, roi, slot, workspace), stride,
          -(roi.y0 * stride + roi.x0 * plane.channels)};
}

// Bounds of the positions for which vector loads stay inside the planes: 8 bytes per color pixel, 4
// bytes otherwise.
void limit_positions(const FrameView& frame, RowSource* source) {
  const int level = source->transform.level;
  const bool color = frame.plane.channels == 3;
  source->low_xy[0] = source->low_xy[1] = 0.0f;
  int high_x = level_size(frame.plane.width_px, level) - (color ? 3 : 4);
  int high_y = level_size(frame.plane.height_px, level) - 2;
  if (frame.has_chroma()) {
    source->low_xy[0] = source->low_xy[1] = 0.5f;
    const int chroma_x =
        2 * (level_size(frame.chroma.width_px, level) - (frame.chroma.channels == 1 ? 3 : 2));
    const int chroma_y = 2 * level_size(frame.chroma.height_px, level) - 4;
    high_x = chroma_x < high_x ? chroma_x : high_x;
    high_y = chroma_y < high_y ? chroma_y : high_y;
  }
  source->high_xy[0] = static_cast<float>(high_x);
  source->high_xy[1] = static_cast<float>(high_y);
}

void prepare_planes(const FrameView& frame, const float* low_xy, const float* high_xy,
                    RowSource* source, Workspace& workspace) {
  const int level = source->transform.level;
  DownsampleRoi roi = roi_around(low_xy, high_xy, level_size(frame.plane.width_px, level),
                                 level_size(frame.plane.height_px, level));
  source->plane = plane_at_level(frame.plane, level, roi, 0, workspace);
  if (!frame.has_chroma()) return;
  const float chroma_low[2] = {chroma_position(low_xy[0]), chroma_position(low_xy[1])};
  const float chroma_high[2] = {chroma_position(high_xy[0]), chroma_position(high_xy[1])};
  roi = roi_around(chroma_low, chroma_high, level_size(frame.chroma.width_px, level),
                   level_size(frame.chroma.height_px, level));
  source->chroma = plane_at_level(frame.chroma, level, roi, 1, workspace);
  if (frame.pixel_format == PixelFormat::I420)
    source->chroma_v = plane_at_level(frame.chroma_v, level, roi, 2, workspace).data;
}

void crop_inside(PixelFormat pixel_format, const RowSource& source, int y, Span span, int size,
                 float* out) {
  const int64_t plane_px = static_cast<int64_t>(size) * size;
  out += static_cast<int64_t>(y) * size;
  if (pixel_format == PixelFormat::BGR)
    return crop_run<PixelFormat::BGR>(source, y, span.begin, span.end, plane_px, out);
  if (pixel_format == PixelFormat::RGB)
    return crop_run<PixelFormat::RGB>(source, y, span.begin, span.end, plane_px, out);
  if (pixel_format == PixelFormat::GRAY)
    return crop_run<PixelFormat::GRAY>(source, y, span.begin, span.end, plane_px, out);
  if (pixel_format == PixelFormat::NV12)
    return crop_run<PixelFormat::NV12>(source, y, span.begin, span.end, plane_px, out);
  return crop_run<PixelFormat::I420>(source, y, span.begin, span.end, plane_px, out);
}

void fill_black(const CropParams& params, int y, int begin, int end, float* out) {
  const int64_t size = params.size_px;
  for (int c = 0; c < 3; ++c) {
    const float black = normalize_value(0.0f, params.normalize, c);
    for (int x = begin; x < end; ++x) out[(c * size + y) * size + x] = black;
  }
}

// Crops one row: black outside the frame, the scalar definition where taps cross the border, SIMD
// inside.
void crop_border_row(const FrameView& frame, const RowSource& source, const CropParams& params,
                     int y, float* out) {
  const LevelTransform& transform = source.transform;
  const int size = params.size_px;
  const float low_xy[2] = {-1.0f, -1.0f};
  const float high_xy[2] = {static_cast<float>(level_size(frame.plane.width_px, transform.level)),
                            static_cast<float>(level_size(frame.plane.height_px, transform.level))};
  const Span touched = span_inside(transform, y, low_xy, high_xy, size);
  fill_black(params, y, 0, touched.begin, out);
  fill_black(params, y, touched.end, size, out);
  const Span inside = span_inside(transform, y, source.low_xy, source.high_xy, size);
  if (inside.end - inside.begin < Simd::count)
    return crop_by_definition(frame, transform, params, y, touched.begin, touched.end, out);
  crop_by_definition(frame, transform, params, y, touched.begin, inside.begin, out);
  crop_inside(frame.pixel_format, source, y, inside, size, out);
  crop_by_definition(frame, transform, params, y, inside.end, touched.end, out);
}

void crop_one(const FrameView& frame, const LevelTransform& transform, const CropParams& params,
              float* out, Workspace& workspace) {
  RowSource source = {};
  source.transform = transform;
  source.yuv = frame.yuv;
  for (int c = 0; c < 3; ++c) {
    source.scale[c] = static_cast<float>(1.0 / (255.0 * params.normalize.std[c]));
    source.offset[c] = static_cast<float>(-static_cast<double>(params.normalize.mean[c]) /
                                          params.normalize.std[c]);
  }
  limit_positions(frame, &source);
  float low_xy[2], high_xy[2];
  position_bounds(transform, params.size_px, low_xy, high_xy);
  prepare_planes(frame, low_xy, high_xy, &source, workspace);
  bool all_inside = params.size_px >= Simd::count;
  for (int i = 0; i < 2; ++i)
    all_inside = all_inside && low_xy[i] >= source.low_xy[i] && high_xy[i] <= source.high_xy[i];
  for (int y = 0; y < params.size_px; ++y) {
    if (all_inside)
      crop_inside(frame.pixel_format, source, y, {0, params.size_px}, params.size_px, out);
    else
      crop_border_row(frame, source, params, y, out);
  }
}

#else

bool fits_offsets(const PlaneView&) { return false; }
void crop_one(const FrameView&, const LevelTransform&, const CropParams&, float*, Workspace&) {}

#endif

}  // namespace

void crop_face_cpu(const FrameView& frame, const float* crop_to_frame, int count,
                   const CropParams& params, float* out, Workspace& workspace) {
  const bool wide =
      fits_offsets(frame.plane) && (!frame.has_chroma() || fits_offsets(frame.chroma));
  const int64_t face = 3 * static_cast<int64_t>(params.size_px) * params.size_px;
  for (int b = 0; b < count; ++b) {
    const LevelTransform transform = transform_at_level(crop_to_frame + 6 * b);
    if (wide)
      crop_one(frame, transform, params, out + b * face, workspace);
    else
      for (int y = 0; y < params.size_px; ++y)
        crop_by_definition(frame, transform, params, y, 0, params.size_px, out + b * face);
  }
}

}  // namespace FACEAFFECT_ISA
}  // namespace faceaffect
