// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import reverie.tensor.Tensor;

/**
 * What models say of noised samples. In the letters of flow matching: {@code v} the output, {@code
 * u = ε − x₀} the target; of other predictions theirs.
 *
 * @param output v, {@code [n, …]}; gradients flow through it
 * @param target u, like the output
 * @param old v_o of the model that drew the samples, or null if it was not asked
 * @param base v_r of the base model, or null
 * @param anchor v of the slow average, or null
 * @param noise the factor of the noise in the noised sample, {@code [n]}: σ, or √(1−ᾱ)
 * @param scale {@code |∂x̂₀/∂v|}, {@code [n]}: σ of a flow
 * @param weight what each sample counts, {@code [n]}
 * @param group the mean of {@link DenoisingObjective#coupling} over the samples of the same prompt,
 *     {@code [n]}, or null
 */
public record Denoised(
    Tensor output,
    Tensor target,
    Tensor old,
    Tensor base,
    Tensor anchor,
    Tensor noise,
    Tensor scale,
    Tensor weight,
    Tensor group) {

  /** The mean over the elements of {@code (answer − u)²}: {@code [n]}. */
  public Tensor error(Tensor answer) {
    return distance(answer, target);
  }

  /** The mean over the elements of {@code (a − b)²}: {@code [n]}. */
  public static Tensor distance(Tensor a, Tensor b) {
    return mean(a.sub(b).square());
  }

  /** The mean over the elements of {@code |answer − u|}, without gradient: {@code [n]}. */
  Tensor absoluteError(Tensor answer) {
    return mean(answer.detach().sub(target).abs());
  }

  private static Tensor mean(Tensor values) {
    int n = values.dim(0);
    return values.reshape(n, Math.toIntExact(values.size() / n)).mean(1);
  }
}
