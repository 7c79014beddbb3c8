// The quiz: an explanation for each choice, and a score.

import { byId, button, make } from "./dom.js";
import { QUESTIONS } from "./questions.js";
import { generator } from "./table.js";

export function quizView() {
  const random = generator(7);
  const score = make("p", { class: "status", id: "score", "aria-live": "polite" });
  let answers;
  const tell = () => {
    const right = answers.filter((answer) => answer === true).length;
    const given = answers.filter((answer) => answer !== null).length;
    score.textContent = `Score: ${right} of ${given} answered, ${QUESTIONS.length} questions in all.`;
  };
  const list = make("ol", { class: "quiz" });
  function reset() {
    answers = QUESTIONS.map(() => null);
    list.replaceChildren(...QUESTIONS.map(([question, choices], number) => {
      const reply = make("p", { class: "reply", "aria-live": "polite" });
      const options = choices.map(([text, why], i) => [random(), button(text, (event) => {
        // The first answer is the one that counts; the others can be read afterwards.
        if (answers[number] === null) answers[number] = i === 0;
        event.currentTarget.className = i === 0 ? "right" : "wrong";
        reply.textContent = `${i === 0 ? "Right." : "Not quite."} ${why}`;
        tell();
      }, i === 0 ? { "data-right": "" } : {})]);
      return make("li", {}, make("p", {}, question), make("div", { class: "choices" }, ...options.sort((a, b) => a[0] - b[0]).map(([, element]) => element)), reply);
    }));
    tell();
  }
  reset();
  byId("quiz").append(list, score, button("Start again", reset));
}
