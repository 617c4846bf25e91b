// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.util.List;
import java.util.Locale;
import reverie.autograd.nn.Parameter;
import reverie.bench.step.Model;
import reverie.bench.step.StepSettings;

/**
 * The measured steps as TorchScript, written as a careful user of PyTorch would: both branches of
 * guidance in one batch, gradients by autograd, their norm by {@code _foreach_norm}, clipping and
 * AdamW in the one pass of {@code _fused_adamw_}. Every method takes and gives lists of tensors.
 *
 * <ul>
 *   <li>{@code prepare(p)}: the parameters as they are trained, in channels-last memory if so
 *       asked.
 *   <li>{@code trained(p)}: those of them that training changes.
 *   <li>{@code sampling(p, batch)}: a guided DDIM step; gives the next latents.
 *   <li>{@code ddpo_gradients(p, batch)} and {@code pretraining_gradients(p, batch)}: the loss,
 *       then its gradients.
 *   <li>{@code ddpo(p, m, v, steps, batch)}, {@code lora(…)} and {@code pretraining(…)}: whole
 *       steps, which change p, the moments and the counters; give the loss.
 *   <li>{@code decoding(p, batch)}: images.
 * </ul>
 */
final class StepScript {
  private StepScript() {}

  private static final String LISTS =
      """

      def laid(self, x: Tensor) -> Tensor:
        if x.dim() == 4:
          return x.contiguous(memory_format=FORMAT)
        return x.contiguous()

      def prepare(self, p: List[Tensor]) -> List[Tensor]:
        out: List[Tensor] = []
        for i in range(torch.len(p)):
          out.append(self.laid(p[i].detach().clone()).requires_grad_(i >= FROZEN))
        return out

      def trained(self, p: List[Tensor]) -> List[Tensor]:
        return torch.slice(p, FROZEN)

      def zeros(self, p: List[Tensor]) -> List[Tensor]:
        return [torch.zeros_like(w.detach()) for w in self.trained(p)]

      def counters(self, p: List[Tensor]) -> List[Tensor]:
        return [torch.zeros([], dtype=6) for w in self.trained(p)]

      def empty(self) -> List[Tensor]:
        out: List[Tensor] = []
        return out

      def append(self, all: List[Tensor], x: Tensor) -> List[Tensor]:
        all.append(x)
        return all

      def plain(self, all: List[Tensor]) -> List[Tensor]:
        return [x.detach().contiguous() for x in all]
      """;

  private static final String STEPS =
      """

      def guided(self, p: List[Tensor], x: Tensor, t: Tensor, context: Tensor, none: Tensor) \
      -> Tensor:
        unconditional = none.expand(context.size(), implicit=False)
        both = self.predict(p, torch.cat([x, x], 0), torch.cat([t, t], 0), \
      torch.cat([unconditional, context], 0))
        branches = torch.chunk(both, 2, 0)
        return branches[0] + (branches[1] - branches[0]) * GUIDANCE

      def mean(self, p: List[Tensor], b: List[Tensor]) -> Tensor:
        x = self.laid(b[0])
        return x * b[4] + self.guided(p, x, b[1], b[2], b[3]) * b[5]

      def forward(self, p: List[Tensor], b: List[Tensor]) -> List[Tensor]:
        q = [w.detach() for w in p]
        return [self.predict(q, self.laid(b[0]), b[1], b[2])]

      def sampling(self, p: List[Tensor], b: List[Tensor]) -> List[Tensor]:
        q = [w.detach() for w in p]
        return [self.mean(q, b) + b[6] * b[7]]

      def ddpo_loss(self, p: List[Tensor], b: List[Tensor]) -> Tensor:
        gap = (b[7] - self.mean(p, b)) / b[6]
        density = gap * gap * -0.5 - torch.log(b[6]) - HALF_LOG_TWO_PI
        ratio = torch.exp(torch.clamp(density.mean([1, 2, 3], False) - b[8], -20.0, 20.0))
        cost = torch.neg(torch.clamp(b[9], -ADVANTAGE, ADVANTAGE))
        clipped = torch.clamp(ratio, 1.0 - CLIP, 1.0 + CLIP)
        return torch.mean(torch.maximum(cost * ratio, cost * clipped))

      def pretraining_loss(self, p: List[Tensor], b: List[Tensor]) -> Tensor:
        x = self.laid(b[0]) * b[4] + self.laid(b[3]) * b[5]
        return torch.mse_loss(self.predict(p, x, b[1], b[2]), b[3])

      def gradients(self, loss: Tensor, p: List[Tensor]) -> List[Tensor]:
        found = torch.grad([loss], self.trained(p))
        out = [loss.detach()]
        for g in found:
          if g is not None:
            out.append(self.laid(g))
        return out

      def ddpo_gradients(self, p: List[Tensor], b: List[Tensor]) -> List[Tensor]:
        return self.gradients(self.ddpo_loss(p, b), p)

      def pretraining_gradients(self, p: List[Tensor], b: List[Tensor]) -> List[Tensor]:
        return self.gradients(self.pretraining_loss(p, b), p)

      def update(self, p: List[Tensor], m: List[Tensor], v: List[Tensor], steps: List[Tensor], \
      g: List[Tensor]) -> List[Tensor]:
        loss = g.pop(0)
        q = [w.detach() for w in self.trained(p)]
        norm = torch.linalg_vector_norm(torch.stack(torch._foreach_norm(g, 2.0), 0), 2.0)
        shorten = torch.clamp(norm / LONGEST, 1.0)
        torch._foreach_add_(steps, 1)
        none: List[Tensor] = []
        torch._fused_adamw_(q, g, m, v, none, steps, lr=RATE, beta1=BETA1, beta2=BETA2, \
      weight_decay=DECAY, eps=EPSILON, amsgrad=False, maximize=False, grad_scale=shorten)
        return [loss]

      def ddpo(self, p: List[Tensor], m: List[Tensor], v: List[Tensor], steps: List[Tensor], \
      b: List[Tensor]) -> List[Tensor]:
        return self.update(p, m, v, steps, self.ddpo_gradients(p, b))

      def pretraining(self, p: List[Tensor], m: List[Tensor], v: List[Tensor], \
      steps: List[Tensor], b: List[Tensor]) -> List[Tensor]:
        return self.update(p, m, v, steps, self.pretraining_gradients(p, b))

      def lora(self, p: List[Tensor], m: List[Tensor], v: List[Tensor], steps: List[Tensor], \
      b: List[Tensor]) -> List[Tensor]:
        return self.ddpo(p, m, v, steps, b)
      """;

  private static final String DECODING =
      """

      def decoding(self, p: List[Tensor], b: List[Tensor]) -> List[Tensor]:
        q = [w.detach() for w in p]
        return [self.decode(q, self.laid(b[0]))]
      """;

  /** The text of the module for steps of a model, of which shapes suffice. */
  static String of(Model model, StepSettings s, boolean channelsLast) {
    List<String> names = model.parameters().stream().map(Parameter::name).toList();
    int frozen = model.lora() == null ? 0 : names.size() - model.trained().all().size();
    String steps =
        model.autoencoder() == null
            ? UNetScript.of(
                    model.unet().config(),
                    model.lora() == null ? null : StepSettings.ADAPTERS,
                    names)
                + STEPS
            : AutoencoderScript.of(model.autoencoder().config(), names) + DECODING;
    // The numbers of torch.contiguous_format and torch.channels_last.
    int format = channelsLast ? 2 : 0;
    return (LISTS + steps)
        .replace("FORMAT", Integer.toString(format))
        .replace("FROZEN", Integer.toString(frozen))
        .replace("GUIDANCE", number(s.guidance()))
        .replace("HALF_LOG_TWO_PI", number(0.5 * Math.log(2 * Math.PI)))
        .replace("ADVANTAGE", number(s.advantageLimit()))
        .replace("CLIP", number(s.clipRange()))
        .replace("LONGEST", number(s.clipNorm()))
        .replace("RATE", number(s.learningRate()))
        .replace("BETA1", number(s.adamW().beta1()))
        .replace("BETA2", number(s.adamW().beta2()))
        .replace("DECAY", number(s.adamW().weightDecay()))
        .replace("EPSILON", number(s.adamW().epsilon()));
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.17g", value);
  }
}
