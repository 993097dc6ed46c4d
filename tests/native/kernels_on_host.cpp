// The CUDA kernels, launches included, as a library of host code for tests/sdk/kernels/test_cuda_twins.py.
#include "../../csrc/au_gcn_cuda.cu"
#include "../../csrc/crop_face_cuda.cu"
#include "../../csrc/normalize_cuda.cu"
#include "../../csrc/appearance_grid.cu"

using namespace faceaffect;

namespace {

Element element(int is_half) { return is_half ? Element::Float16 : Element::Float32; }

}  // namespace

extern "C" {

// planes: luma or color, chroma, V of I420; each data, row stride, width, height, channels; yuv: six coefficients
void host_crop_face(const int64_t* planes, const float* yuv, int pixel_format, const float* transforms, int count, int size_px, const float* mean_std,
                    void* out, int is_half) {
  PlaneView views[3];
  for (int i = 0; i < 3; ++i) {
    const int64_t* p = planes + 5 * i;
    views[i] = {reinterpret_cast<const uint8_t*>(p[0]), p[1], static_cast<int>(p[2]), static_cast<int>(p[3]),
                static_cast<int>(p[4])};
  }
  CropParams params = {size_px, {}};
  for (int c = 0; c < 3; ++c) params.normalize.mean[c] = mean_std[c], params.normalize.std[c] = mean_std[3 + c];
  const YuvCoefficients color = {yuv[0], yuv[1], yuv[2], yuv[3], yuv[4], yuv[5]};
  crop_face_cuda({views[0], views[1], static_cast<PixelFormat>(pixel_format), views[2], color}, transforms, count, params, out, element(is_half), nullptr);
}

void host_crop_jobs(const void* jobs, int count, int size_px, const float* mean_std, void* out, int is_half) {
  CropParams params = {size_px, {}};
  for (int c = 0; c < 3; ++c) params.normalize.mean[c] = mean_std[c], params.normalize.std[c] = mean_std[3 + c];
  crop_jobs_cuda(static_cast<const FaceJob*>(jobs), count, params, out, element(is_half), nullptr);
}

void host_normalize(const uint8_t* pixels, int64_t count, int64_t plane_px, const float* mean_std, void* out,
                    int is_half) {
  NormalizeParams params;
  for (int c = 0; c < 3; ++c) params.mean[c] = mean_std[c], params.std[c] = mean_std[3 + c];
  normalize_cuda(pixels, count, plane_px, params, out, element(is_half), nullptr);
}

void host_au_gcn(const void* nodes, int64_t count, const int* widths, int layers, const void* weights, float* out,
                   int is_half) {
  GraphShape shape = {layers, {}};
  for (int i = 0; i <= layers; ++i) shape.widths[i] = widths[i];
  au_gcn_cuda(nodes, count, shape, weights, out, element(is_half), nullptr);
}

void host_appearance_grid(const void* crops, int64_t count, int size_px, float* out, int is_half) {
  appearance_grid_cuda(crops, count, size_px, out, element(is_half), nullptr);
}

}  // extern "C"
