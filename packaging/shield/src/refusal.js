/** A request or an item that is refused; `message` names the field and says why, `status` is the HTTP status. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message.toWellFormed()); // what is cut may end in half a character
    this.status = status;
  }
}

/** A mistake of the operator's; `message` names the setting or the register's entry. It is answered 503: devices wait. */
export class Mistake extends Refusal {
  constructor(message) {
    super(503, message);
  }
}
